import { z } from 'zod'

export const executablePlatforms = ['linux-x64', 'linux-arm64'] as const
export type ExecutablePlatform = (typeof executablePlatforms)[number]

const artefact = z.object({
  /** Its name in `/downloads/agent/<version>/`. */
  file: z.string(),
  sha256: z.string(),
  bytes: z.int(),
  /** What runs it: `node` (18 or newer) and `sh` on any processor, the others are programs of their own. */
  platform: z.enum(['node', 'sh', ...executablePlatforms]),
  /** Absent: it is run as it is. */
  packed: z.literal('gzip').optional(),
  /** False: it was built, and nobody has seen it run. */
  tested: z.boolean(),
})
export type Artefact = Readonly<z.infer<typeof artefact>>

const artefactIndex = z.object({
  version: z.string(),
  /** Which `agentProtocols` this agent speaks. */
  protocol: z.int(),
  artefacts: z.array(artefact),
})
/** `index.json`, beside the files and at the top for the version that is served. */
export type ArtefactIndex = Readonly<z.infer<typeof artefactIndex>>

/** What is answered for the top one: also which other versions lie there. */
export const downloadIndex = artefactIndex.extend({ others: z.array(z.string()) })
