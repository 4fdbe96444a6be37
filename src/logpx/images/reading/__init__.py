"""Reading images: arrays, idx files, CIFAR-10 batches, folders of PNG and JPEG, data sets by name."""
