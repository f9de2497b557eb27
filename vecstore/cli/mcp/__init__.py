"""`vecstore mcp`: stores as tools of a language model, over the Model Context Protocol.

``tools.py`` has what a model can call, ``answers.py`` what it gets to see of a record, ``server.py`` the server.
The command itself is in `vecstore.cli.serving`, so that no other command imports the protocol's library.
"""
