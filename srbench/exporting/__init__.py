"""Networks carried away: written for other runtimes, and measured at once for what that costs.

``form`` and ``whole`` make a module of operations that targets know, ``formats`` says what each format can express,
``onnx``, ``litert`` and ``ncnn`` write one each, ``calibrate`` has the images that int8 is calibrated on, ``measured`` compares
the file with PyTorch, ``make`` is the way from a subject to a file with its card.
"""
