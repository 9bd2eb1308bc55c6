import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { type EngineName, engineNames, enginePresets } from '../core/engine-presets.ts'
import { microUsdOf } from '../core/money.ts'
import { defaultSettings, type Settings } from '../core/settings.ts'
import { secretFile } from '../lib/secret-file.ts'
import { engineArguments, modelName } from '../wire/views.ts'
import { readCatalogs } from './catalog.ts'
import { chosenRecipes, recipesConfig } from './recipes-config.ts'
import { skypilotConfig } from './skypilot-config.ts'

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const words = z.array(z.string().min(1).max(4_096)).max(64)
const path = z.string().min(1).max(4_096)
const address = (port: number) =>
  z
    .object({
      host: z.string().default('127.0.0.1'),
      port: z.number().int().min(0).max(65_535).default(port),
      /** Without it, the install's own authority signs what is served beyond loopback. */
      tls: z.object({ certFile: path, keyFile: path }).strict().optional(),
      /** A proxy with a certificate of its own stands at the public address, so nobody there sees ours. */
      proxied: z.boolean().default(false),
    })
    .strict()
    .prefault({})
const engine = z
  .object({
    command: words.optional(),
    /** How it gets onto this machine; left out: it is there. */
    recipe: z.string().min(1).max(64).optional(),
    env: z.record(z.string(), z.string()).default({}),
  })
  .strict()
const seconds = z.number().min(0.1).max(86_400)
// Browsers keep no cookie for longer than 400 days; ninety is a guess at what anybody wants.
const longestSessionS = 90 * 86_400

/** The configuration file: JSON, every field optional. docs/configuration.md explains each. */
export const configFile = z
  .object({
    listen: address(8080),
    gateway: address(8081),
    poolSize: z.number().int().min(4).max(200).default(16),
    local: z
      .object({
        pricePerHourUsd: z.number().min(0).max(10_000).default(0),
        maxMachines: z.number().int().min(0).max(1_000).default(4),
        folder: z.string().optional(),
        env: z.record(z.string(), z.string()).default({}),
        loadLimitS: seconds.default(1_200),
        drainLimitS: seconds.default(120),
        engines: z.partialRecord(z.enum(engineNames as [EngineName, ...EngineName[]]), engine).prefault({}),
      })
      .strict()
      .prefault({}),
    recipes: recipesConfig,
    models: z
      .array(
        z
          .object({
            name: modelName,
            engine: z.enum(engineNames as [EngineName, ...EngineName[]]),
            source: z.string().min(1).max(512),
            args: engineArguments.default({}),
            description: z.string().max(500).default(''),
            catalog: z.string().max(200).optional(),
            concurrency: z.number().int().min(1).max(4_096).optional(),
          })
          .strict(),
      )
      .default([]),
    /** Files in the format of catalog/models.json; an entry takes the place of one with the same id. */
    catalogs: z.array(z.string().min(1).max(4_096)).max(64).default([]),
    queue: z
      .object({ attemptsInFlight: z.number().int().min(1).max(1_000).default(defaultSettings.attemptsInFlight) })
      .strict()
      .prefault({}),
    launch: z
      .object({
        timeLimitS: seconds.optional(),
        maxTimeLimitS: seconds.default(defaultSettings.launchMaxTimeLimitS),
        perMinute: z.number().int().min(1).max(100_000).default(defaultSettings.launchesPerMinute),
        rounds: z.number().int().min(1).max(100).default(defaultSettings.retry.rounds),
        triesPerOffer: z.number().int().min(1).max(20).default(defaultSettings.retry.triesPerOffer),
        firstBackOffS: seconds.default(defaultSettings.retry.firstBackOffMs / 1_000),
        refusalHalfLifeS: seconds.default(defaultSettings.capacity.halfLifeMs / 1_000),
      })
      .strict()
      .prefault({}),
    stopAfterFailures: z.number().int().min(1).max(1_000).default(defaultSettings.stopAfterFailures),
    claimHoldS: seconds.default(defaultSettings.claimHoldMs / 1_000),
    heartbeatS: seconds.default(defaultSettings.heartbeatMs / 1_000),
    leaseS: seconds.default(defaultSettings.leaseMs / 1_000),
    graceS: z
      .number()
      .min(0)
      .max(3_600)
      .default(defaultSettings.graceMs / 1_000),
    holdLimitS: z
      .number()
      .int()
      .min(0)
      .max(30 * 86_400)
      .default(defaultSettings.holdLimitS),
    engineRestarts: z.number().int().min(0).max(20).default(defaultSettings.engineRestarts),
    allowedOrigins: z.array(z.string()).default([]),
    sessions: z
      .object({
        idleS: z.number().int().min(1).max(longestSessionS).default(defaultSettings.sessions.idleS),
        lifetimeS: z.number().int().min(1).max(longestSessionS).default(defaultSettings.sessions.lifetimeS),
      })
      .strict()
      .prefault({}),
    publicUrl: z.url().optional(),
    publicGatewayUrl: z.url().optional(),
    skypilot: skypilotConfig.optional(),
  })
  .strict()

export type Config = z.infer<typeof configFile>

/** Reads the configuration. @throws Error that names the file, the fields and what they must be. */
export function readConfig(file: string | undefined): Config {
  if (!file) return configFile.parse({})
  if (!existsSync(file))
    throw new Error(`The configuration file ${file} does not exist. Leave --config out for the defaults.`)
  let text: unknown
  try {
    text = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`The configuration file ${file} is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const parsed = configFile.safeParse(text)
  if (!parsed.success) throw new Error(`The configuration file ${file} is not right:\n${z.prettifyError(parsed.error)}`)
  // Like any path in a configuration: beside it, wherever the command was started.
  const beside = (path: string) => resolve(dirname(file), path)
  const { listen, gateway, catalogs, ...rest } = parsed.data
  return {
    ...rest,
    listen: withFiles(listen, beside),
    gateway: withFiles(gateway, beside),
    catalogs: catalogs.map(beside),
  }
}

function withFiles(address: Config['listen'], beside: (path: string) => string): Config['listen'] {
  const { tls } = address
  return tls ? { ...address, tls: { certFile: beside(tls.certFile), keyFile: beside(tls.keyFile) } } : address
}

const simModel = {
  name: 'sim-small',
  engine: 'sim' as const,
  source: 'sim-small',
  args: {},
  description: 'The built-in simulated engine: it answers nonsense, for trying things out.',
}

// As SkyPilot says: what it orders where the task does not say. These clouds take the disk that their machines have.
const skyDiskGib = 256
const ownDisks = ['slurm', 'kubernetes', 'ssh']

function diskOf(cloud: string, given: number | undefined): [string, number][] {
  if (given === undefined && ownDisks.includes(cloud)) return []
  return [[cloud, given ?? skyDiskGib]]
}

/** What the loops and commands are given, made from the file's seconds and dollars. */
export function settingsOf(config: Config): Settings {
  const sim = [process.execPath, '--disable-warning=ExperimentalWarning', join(projectRoot, 'src/main/engine-sim.ts')]
  const engines = Object.fromEntries(
    engineNames.map((name) => {
      const given = config.local.engines[name]
      return [
        name,
        { command: given?.command ?? (name === 'sim' ? sim : enginePresets[name].command), env: given?.env ?? {} },
      ]
    }),
  )
  const clouds = config.skypilot?.clouds ?? {}
  return {
    ...defaultSettings,
    models: config.models.some(({ name }) => name === simModel.name) ? config.models : [...config.models, simModel],
    catalog: readCatalogs([join(projectRoot, 'catalog', 'models.json'), ...config.catalogs]),
    engines,
    recipes: chosenRecipes({ recipes: config.recipes, engines: config.local.engines, clouds }),
    images: Object.fromEntries(Object.entries(clouds).flatMap(([name, { image }]) => (image ? [[name, image]] : []))),
    diskGib: Object.fromEntries(Object.entries(clouds).flatMap(([name, given]) => diskOf(name, given.diskGib))),
    attemptsInFlight: config.queue.attemptsInFlight,
    launchServers: config.skypilot
      ? [{ name: 'SkyPilot', clouds: Object.keys(clouds), atOnce: config.skypilot.launchesAtOnce }]
      : [],
    launchTimeLimitS: config.launch.timeLimitS ?? null,
    launchMaxTimeLimitS: config.launch.maxTimeLimitS,
    launchesPerMinute: config.launch.perMinute,
    retry: {
      ...defaultSettings.retry,
      rounds: config.launch.rounds,
      triesPerOffer: config.launch.triesPerOffer,
      firstBackOffMs: config.launch.firstBackOffS * 1_000,
    },
    capacity: { ...defaultSettings.capacity, halfLifeMs: config.launch.refusalHalfLifeS * 1_000 },
    stopAfterFailures: config.stopAfterFailures,
    claimHoldMs: config.claimHoldS * 1_000,
    heartbeatMs: config.heartbeatS * 1_000,
    leaseMs: config.leaseS * 1_000,
    graceMs: config.graceS * 1_000,
    holdLimitS: config.holdLimitS,
    engineRestarts: config.engineRestarts,
    allowedOrigins: config.allowedOrigins,
    sessions: config.sessions,
  }
}

export const priceOf = (config: Config): number => microUsdOf(config.local.pricePerHourUsd)

/** The key that seals secrets and derives tokens. Several control planes on one database must share it. */
export function secretKey(env: NodeJS.ProcessEnv, dataDir: string): Buffer {
  const hex = env.FLIGHTDECK_SECRET_KEY ?? secretFile(join(dataDir, 'secret.key'))
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw new Error('FLIGHTDECK_SECRET_KEY must be 64 hexadecimal digits (32 bytes).')
  return Buffer.from(hex, 'hex')
}

export const usualDataDir = join(projectRoot, 'data')

export const dataDirOf = (given: string | undefined): string =>
  resolve(given || process.env.FLIGHTDECK_DATA || usualDataDir)
