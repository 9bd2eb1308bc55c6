import { z } from 'zod'
import { isLoopback } from '../lib/host.ts'

const words = z.array(z.string().min(1).max(200)).max(1_000).default([])
/** As in a task file: so many, or with a plus at least so many. */
const atLeast = z
  .string()
  .max(16)
  .regex(/^\d+(\.\d+)?\+?$/, 'a number, or a number and a plus: "8" or "8+"')
const minutes = z.number().min(0.1).max(1_440)

/** One cloud of the API server, by SkyPilot's name for it. */
const skyCloud = z
  .object({
    regions: words,
    gpus: words,
    spot: z.boolean().default(true),
    /** The nodes of this cloud run on this very machine, and may reach us over loopback. */
    onThisHost: z.boolean().default(false),
    /** They share a private network with us, so that a private address is right. Left out: by the cloud. */
    privateNetwork: z.boolean().optional(),
    /** The machines open `directPort`, and the gateways call them there. */
    direct: z.boolean().default(false),
    directPort: z.number().int().min(1).max(65_535).default(8_443),
    /** SkyPilot ends its machines when their job is over, also when nobody asks. Left out: where SkyPilot can. */
    autodown: z.boolean().optional(),
    nodeBin: z.string().min(1).max(4_096).default('node'),
    cpus: atLeast.optional(),
    memoryGib: atLeast.optional(),
    diskGib: z.number().int().min(1).max(100_000).optional(),
    image: z.string().max(512).optional(),
    /** How the engine gets onto its machines. Left out: an image brings it, else `vllm` is installed. */
    recipe: z.string().min(1).max(64).optional(),
    requestLimitMin: minutes.optional(),
    bootLimitMin: minutes.default(10),
  })
  .strict()

// The shell that fetches from it takes words apart at spaces; and whoever may read the task file reads the address.
const mirror = z
  .url({ protocol: /^https?$/ })
  .refine((url) => !/[\s'"\\?#@]/.test(url), 'a folder, without query, user or spaces')
  .refine(
    (url) => !URL.canParse(url) || new URL(url).protocol === 'https:' || isLoopback(new URL(url).hostname),
    'an https address; plain http is for a mirror on this very machine',
  )

const cloudName = z.string().regex(/^[a-z][a-z0-9]{1,31}$/, 'a cloud as SkyPilot calls it: aws, gcp, slurm, ...')

export const skypilotConfig = z
  .object({
    url: z.url({ protocol: /^https?$/ }),
    launchesAtOnce: z.number().int().min(1).max(1_000).default(4),
    /** A folder on the web with what `dist/agent` holds; machines fetch the agent there first. */
    agentMirror: mirror.optional(),
    clouds: z
      .record(cloudName, skyCloud)
      .refine((clouds) => Object.keys(clouds).length > 0, 'name at least one cloud')
      .refine((clouds) => !Object.hasOwn(clouds, 'local'), '"local" is this machine, and no cloud of SkyPilot'),
  })
  .strict()

export type SkypilotConfig = z.infer<typeof skypilotConfig>
export type SkyCloudConfig = z.infer<typeof skyCloud>
