"""Reading the web: fetching hostile addresses safely, and what a page says."""
