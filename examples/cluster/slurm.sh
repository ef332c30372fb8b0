#!/usr/bin/env bash
# A sweep on all GPUs of an allocation. What follows the script are settings of geospot sweep:
#
#   sbatch examples/cluster/slurm.sh out=runs/world points=table points.path=points.parquet
#
# Node lost, job stopped or out of time: submit it again, it goes on from what is stored. The folder
# of the run has to be on a file system that all nodes share, or on object storage.
#SBATCH --job-name=geospot
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=8
#SBATCH --time=08:00:00
#SBATCH --no-kill
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
# Others on the network of the nodes may reach the ports of Ray: only who knows the token may use them.
RAY_AUTH_TOKEN=$(head --bytes=32 /dev/urandom | od --address-radix=n --format=x1 | tr --delete ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${nodes[0]} # where this script runs
address=$(hostname --ip-address | cut --delimiter=' ' --fields=1)
port=$((20000 + SLURM_JOB_ID % 10000)) # two jobs may share a node
export RAY_ADDRESS=$address:$port

step=(srun --overlap --no-kill --kill-on-bad-exit=0 --ntasks-per-node=1)
resources=("--num-cpus=${SLURM_CPUS_PER_TASK:-1}" "--num-gpus=${SLURM_GPUS_ON_NODE:-0}")

# Ray ends with the script, and so do its nodes: nothing else on them is touched.
trap 'kill $(jobs -p) 2> /dev/null || true; wait' EXIT

"${step[@]}" --nodes=1 --nodelist="$first" \
  ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false \
  "${resources[@]}" --block &
for ((second = 0; second < 120; second++)); do
  (exec 3<> "/dev/tcp/$address/$port") 2> /dev/null && break
  kill -0 $! 2> /dev/null || { echo "Ray does not start on $first" >&2; exit 1; }
  sleep 1
done
if ((${#nodes[@]} > 1)); then
  "${step[@]}" --nodes=$((${#nodes[@]} - 1)) --exclude="$first" \
    ray start --address="$RAY_ADDRESS" "${resources[@]}" --block &
fi

# It begins with the workers that are there; others join as their nodes come up.
geospot sweep engine=ray "$@"
