"""What people bring, read and filtered: captions that an image may be made of."""
