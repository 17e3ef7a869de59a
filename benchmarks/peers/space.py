"""The space that every contender searches; each says it in its own words. Logarithmic but for the layers."""

HIDDEN_LAYERS = (1, 3)
HIDDEN_UNITS = (32, 256)
LEARNING_RATE = (1e-4, 1.0)
ONE_MINUS_MOMENTUM = (1e-3, 1e-1)
DECAY_RATE = (1e-3, 1.0)  # learning rate / (1 + rate * epoch)
REDUCTION = 3
