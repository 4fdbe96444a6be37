"""Reading: files, frames and arrays as one stream of exact batches."""
