"""Tables: reading, schema, the way between columns and tensors, and the model of a table.

Importing the room is cheap: a file, and PyTorch with it, is imported when a name of it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
