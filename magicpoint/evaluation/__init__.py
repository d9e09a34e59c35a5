"""Networks and other methods compared: protocols, methods, reports. Imports `inference` and what is below."""
