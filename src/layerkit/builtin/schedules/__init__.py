"""The schedules that come with layerkit, one a file."""
