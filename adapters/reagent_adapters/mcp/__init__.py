"""`reagent mcp`: critique as tools of an MCP server, for any MCP client."""
