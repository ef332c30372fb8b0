# geospot on GPU nodes whose NVIDIA driver is 580 or newer, as CUDA 13 needs:
#
#   docker build --tag geospot .
#   docker run --gpus all --user "$(id -u):$(id -g)" \
#     --volume "$PWD:/runs" --volume geospot-cache:/cache geospot sweep out=world
#   docker run --gpus all geospot doctor
#
#   apptainer build geospot.sif docker-daemon://geospot:latest
#   apptainer run --nv --bind "$PWD:/runs" --bind "$HOME/.cache:/cache" --pwd /runs \
#     geospot.sif sweep out=world
#
# CUDA comes once, with torch. KeOps compiles against its headers at run time, and Triton compiles
# what launches its programs: hence the C++ compiler and the headers of Python.
FROM nvidia/cuda:13.0.2-base-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        g++=4:13.2.* \
        python3-dev=3.12.* \
        python3-venv=3.12.* \
    && rm -rf /var/lib/apt/lists/*

# Runs and caches are open to every user, for docker run --user; who has no home needs no other.
RUN useradd --uid 10001 --create-home geospot \
    && install --directory --mode=1777 /cache /runs
ENV GEOSPOT_CACHE=/cache \
    KEOPS_CACHE_FOLDER=/cache/keops \
    MPLCONFIGDIR=/cache/matplotlib \
    NUMBA_CACHE_DIR=/cache/numba \
    TRITON_CACHE_DIR=/cache/triton
VOLUME /cache

# The large packages come before the source: only other versions of packages renew their layer.
# FAISS is that of the CPU: the one for GPUs brings CUDA 12 beside torch's 13, and torch searches
# on a GPU that FAISS does not know. Of CUDA torch lacks the headers of crt and cccl.
ENV PATH=/opt/venv/bin:$PATH \
    CUDA_HOME=/opt/venv/lib/python3.12/site-packages/nvidia/cu13
WORKDIR /opt/geospot_gpu
COPY constraints-cpu.txt constraints-gpu.txt ./
RUN python3 -m venv /opt/venv \
    && pip install --no-cache-dir --constraint constraints-gpu.txt torch \
    && pip install --no-cache-dir --constraint constraints-gpu.txt \
        faiss-cpu geoclip nvidia-cuda-cccl nvidia-cuda-crt

# Where KeOps looks for libraries, by the names that it links to.
RUN ln --symbolic libnvrtc.so.13 "$CUDA_HOME/lib/libnvrtc.so" \
    && echo "$CUDA_HOME/lib" > /etc/ld.so.conf.d/cuda-of-torch.conf \
    && ldconfig

COPY . .
RUN pip install --no-cache-dir --constraint constraints-gpu.txt '.[cpu,geo,cloud,cluster]'

USER 10001
WORKDIR /runs
ENTRYPOINT ["geospot"]
CMD ["--help"]
