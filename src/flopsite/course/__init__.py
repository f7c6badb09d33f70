"""The course: its map, the line under each title, folded parts, the state of the build."""
