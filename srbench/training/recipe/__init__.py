"""What a run learns from and how: the keys of a recipe, the files they come from.

- ``schema``: every key with its type, bounds and default, written once;
- ``tables``: the keys of ``[perceptual]`` and ``[adversarial]``;
- ``load``: a recipe's file and a mapping of changes → one resolved ``Recipe``.
"""
