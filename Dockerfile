# geospot on GPU nodes:
#
#   docker build --tag geospot .
#   docker run --gpus all --user "$(id -u):$(id -g)" \
#     --volume "$PWD:/runs" --volume geospot-cache:/cache geospot sweep out=world
#
# The base image has the toolkit that torch is built for. KeOps compiles against it at run time:
# hence -devel, the C++ compiler and the headers of Python.
FROM nvidia/cuda:13.0.2-devel-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        g++=4:13.2.* \
        python3-dev=3.12.* \
        python3-venv=3.12.* \
    && rm -rf /var/lib/apt/lists/*

# Runs and caches are open to every user, for docker run --user.
RUN useradd --uid 10001 --create-home geospot \
    && install --directory --mode=1777 /cache /runs
ENV GEOSPOT_CACHE=/cache \
    KEOPS_CACHE_FOLDER=/cache/keops \
    MPLCONFIGDIR=/cache/matplotlib
VOLUME /cache

# The large packages come before the source: only other versions of packages renew their layer.
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /opt/geospot_gpu
COPY constraints-cpu.txt constraints-gpu.txt ./
RUN python3 -m venv /opt/venv \
    && pip install --no-cache-dir --constraint constraints-gpu.txt torch \
    && pip install --no-cache-dir --constraint constraints-gpu.txt faiss-gpu geoclip

COPY . .
RUN pip install --no-cache-dir --constraint constraints-gpu.txt '.[gpu,geo]'

USER 10001
WORKDIR /runs
ENTRYPOINT ["geospot"]
CMD ["--help"]
