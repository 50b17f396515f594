"""What a network is told to make small: terms between SR and HR, and the signs that an adversarial run has collapsed.

- ``pixel``: terms that need nothing but the two images, and their weighted sum with the others;
- ``perceptual``: the distance between features of an ImageNet classifier;
- ``adversarial``: what generator and discriminator want of each other's scores;
- ``collapse``: the health of an adversarial run.
"""
