"""A run from its first look at the options to the card of its checkpoint.

- ``trainer``: ``train`` and the ``Trainer``, which reads from top to bottom;
- ``step``, ``adversarial``: one step of a network on its own, and of generator and discriminator;
- ``start``, ``initial``, ``compiled``: the network with its first weights;
- ``own``: networks that no registry knows;
- ``validation``, ``half``: images that are not trained on, and what they decide;
- ``progress``, ``watch``, ``trackers``, ``log``, ``state``, ``folder``: what is measured, shown and saved, and where;
- ``options``, ``budget``, ``pace``, ``distributed``: how it is carried out, how long, and in how many processes;
- ``card``: what is written of it.
"""
