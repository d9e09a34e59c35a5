"""The comparison on image pairs with known homographies."""
