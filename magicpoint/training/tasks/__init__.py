"""What a training run learns: a file for each task, its settings in it. `cli.tasks` lists those of the command line."""
