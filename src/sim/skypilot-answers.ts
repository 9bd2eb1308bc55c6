export interface Request {
  readonly id: string
  readonly verb: string
  readonly clusterName: string | null
  readonly userId: string
  status: 'PENDING' | 'WAITING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED'
  readonly createdAt: number
  finishedAt: number | null
  value: unknown
  error: { readonly type: string; readonly message: string } | null
  /** Why it waits for its next try. */
  waits: string | null
  readonly log: string[]
}

/** A row of the cluster list; its events outlive it. */
export interface Cluster {
  readonly name: string
  readonly region: string
  readonly madeAt: number
  /** Whose it is: eight hex digits, as a user sends them. */
  readonly owner: string
  /** What its owner called the command behind it. */
  readonly command: string
  status: string
  lastEvent: string
}

export const isOpen = ({ finishedAt }: Request): boolean => finishedAt === null

/** As `/api/status` shows it: without value and error. */
export function rowOf({
  id,
  verb,
  clusterName,
  userId,
  status,
  createdAt,
  finishedAt,
  waits,
}: Request): Record<string, unknown> {
  return {
    request_id: id,
    name: verb,
    entrypoint: verb.replace('sky.', ''),
    request_body: 'null',
    status,
    created_at: createdAt / 1_000,
    user_id: userId,
    return_value: 'null',
    error: 'null',
    pid: null,
    schedule_type: verb === 'sky.launch' ? 'long' : 'short',
    user_name: null,
    cluster_name: clusterName,
    status_msg: waits,
    should_retry: false,
    finished_at: finishedAt === null ? null : finishedAt / 1_000,
    file_mounts_blob_id: null,
  }
}

export const hashOf = (name: string): string => `hash-of-${name}`

export function clusterRow({
  name,
  region,
  madeAt,
  owner,
  command,
  status,
  lastEvent,
}: Cluster): Record<string, unknown> {
  const place = { cloud: 'Slurm', region: region.split('/')[0], launched_at: Math.floor(madeAt / 1_000) }
  const whose = { user_hash: owner, last_creation_command: command }
  return { name, status, cluster_hash: hashOf(name), last_event: lastEvent, autostop: -1, nodes: 1, ...place, ...whose }
}

/** What the server says of a cluster that it does not list, or that is not up. */
export const noSuchCluster = (name: string) => ({
  type: 'ClusterDoesNotExist',
  message: `\u001b[33mCluster '${name}' does not exist.\u001b[0m`,
})
export const notUp = (name: string, status: string) => ({
  type: 'ClusterNotUpError',
  message: `Cluster '${name}' is not up (status: ${status}).`,
})
/** By the server's source, word for word; it was not recorded. */
export const interrupted = (id: string) => ({
  type: 'RequestInterruptedError',
  message: `Request '${id}' was interrupted by an API server restart and will not be resumed. Please re-submit the original request.`,
})
export const ownedByOthers = (name: string) => ({
  type: 'ClusterOwnerIdentityMismatchError',
  message: `${name} is owned by a different identity: somebody-else.`,
})

export function jobRow(name: string, id: number, status: string): Record<string, unknown> {
  const times = { submitted_at: 1_795_458_483.1, start_at: null, end_at: null }
  const who = { username: 'flightdeck', user_hash: 'f11e4dec' }
  const rest = { resources: '1x[H100:1]', log_path: `~/sky_logs/${id}`, metadata: {}, links: {} }
  return { job_id: id, job_name: name, ...who, ...times, status, ...rest }
}

/** As recorded for Slurm's partitions; a cloud with regions has one of them, and takes less for it. */
export function acceleratorRow(count: number, cloud = 'slurm'): unknown[] {
  const [price, place] = cloud === 'slurm' ? [2.5, 'main*,spot'] : [2, `${cloud}-1`]
  return [cloud, null, 'H100', count, 64, 0.0, 21.19, price * count, price * count, place]
}

/** Amazon's machines with their list prices in us-east-1; all spot prices but the first are made up. */
const awsRows: readonly (readonly unknown[])[] = [
  ['AWS', 'g4dn.xlarge', 'T4', 1, 4, 16, 16, 0.526, 0.17, 'us-east-1'],
  ['AWS', 'g5.xlarge', 'A10G', 1, 4, 22.35, 16, 1.006, 0.42, 'us-east-1'],
  ['AWS', 'g5.2xlarge', 'A10G', 1, 8, 22.35, 32, 1.212, 0.4, 'us-east-1'],
  ['AWS', 'g5.4xlarge', 'A10G', 1, 16, 22.35, 64, 1.624, 0.71, 'us-east-1'],
  ['AWS', 'g5.8xlarge', 'A10G', 1, 32, 22.35, 128, 2.448, 0.98, 'us-east-1'],
  ['AWS', 'g5.16xlarge', 'A10G', 1, 64, 22.35, 256, 4.096, null, 'us-east-1'],
  ['AWS', 'g5.12xlarge', 'A10G', 4, 48, 22.35, 192, 5.672, 2.31, 'us-east-1'],
]

export const awsPrices = () => Object.groupBy(awsRows, ([, , gpu]) => String(gpu))

export type KubernetesGpus = Readonly<Record<string, readonly (readonly [string, readonly number[], number, number])[]>>

/** By the server's source: contexts without GPUs are left out, and none at all is an error. */
export const kubernetesFree = (contexts: KubernetesGpus) =>
  Object.entries(contexts).filter(([, gpus]) => gpus.length > 0)
export const noKubernetesGpus = {
  type: 'ValueError',
  message: 'No GPUs found in any Kubernetes clusters. To further debug, run: sky check ',
}

export const kubernetesRows = (contexts: KubernetesGpus) =>
  Object.groupBy(
    Object.entries(contexts).flatMap(([context, gpus]) =>
      gpus.flatMap(([gpu, counts]) =>
        counts.map((count) => ['Kubernetes', null, gpu, count, null, null, null, 0, 0, context] as const),
      ),
    ),
    ([, , gpu]) => gpu,
  )

/** The rows that a call of `/api/status` asks for, the latest first. */
export function rowsFor(query: URLSearchParams, requests: ReadonlyMap<string, Request>): Request[] {
  const ids = query.getAll('request_ids')
  if (ids.length > 0) return ids.flatMap((id) => requests.get(id) ?? [])
  const name = query.get('cluster_name')
  const wanted = [...requests.values()].reverse().filter((one) => name === null || one.clusterName === name)
  return query.get('all_status') === 'true' ? wanted : wanted.filter(isOpen)
}
