"""What is erased is gone: rows, columns, files, free pages."""
