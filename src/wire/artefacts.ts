/** What runs a file of the agent: `node` (18 or newer) and `sh` on any processor, the others are programs of their own. */
export type ArtefactPlatform = 'node' | 'sh' | ExecutablePlatform
export const executablePlatforms = ['linux-x64', 'linux-arm64'] as const
export type ExecutablePlatform = (typeof executablePlatforms)[number]

export interface Artefact {
  /** Its name in `/downloads/agent/<version>/`. */
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly platform: ArtefactPlatform
  /** Absent: it is run as it is. */
  readonly packed?: 'gzip'
  /** False: it was built, and nobody has seen it run. */
  readonly tested: boolean
}

/** `index.json`, beside the files and at the top for the version that is served. */
export interface ArtefactIndex {
  readonly version: string
  /** Which `agentProtocols` this agent speaks. */
  readonly protocol: number
  readonly artefacts: readonly Artefact[]
}
