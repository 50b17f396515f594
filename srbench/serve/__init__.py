"""``srbench serve``: networks behind HTTP. Behind the extra ``serve`` (FastAPI, uvicorn, prometheus-client).

``app`` holds the routes, ``worker`` the one queue in front of the device, ``bodies`` reads what strangers send, ``tensors`` turns
the JSON and the raw tensors of KServe's and TensorFlow Serving's protocols into images, ``server`` starts and stops it all.
"""
