# A CPU image that serves networks of the zoo:
#   docker build -t srbench . && docker run --rm -p 8000:8000 srbench fsrcnn_x4.tuned
FROM python:3.12-slim

WORKDIR /srbench
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY srbench srbench
COPY zoo zoo
# PyTorch's CPU build; pip's pins are for the CUDA build, whose other packages stay the same.
RUN pip install --no-cache-dir uv \
    && uv pip install --system --torch-backend=cpu --constraint constraints.txt --editable ".[serve]" \
    && useradd --create-home srbench
USER srbench
EXPOSE 8000
HEALTHCHECK --start-period=60s --timeout=5s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["srbench", "serve", "--host", "0.0.0.0"]
CMD ["fsrcnn_x4.tuned"]
