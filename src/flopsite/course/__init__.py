"""Show the course: its map, the line under each title, folded parts, the build status."""
