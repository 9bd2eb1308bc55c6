import type { EngineArguments } from './engine-presets.ts'
import { expectWord, type Stage } from './stage.ts'

/** What a model's `source` is: a repository of the hub, an address in an object store, or a path on the machine. */
export type SourceKind = 'hub' | 'store' | 'path'

export function sourceKind(source: string): SourceKind {
  // What vLLM itself hands to the streamer.
  if (/^(s3|gs|az):\/\//i.test(source)) return 'store'
  return /^[\w.-]+\/[\w.-]+$/.test(source) && !source.startsWith('.') ? 'hub' : 'path'
}

/** What the engine has to be told because of where its model lies. */
export const argumentsOfSource = (engine: string, source: string): EngineArguments =>
  engine === 'vllm' && sourceKind(source) === 'store' ? { 'load-format': 'runai_streamer' } : {}

/** The names of the secrets by which hubs and stores know us. */
const hubSecrets = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']
const storeSecrets = ['AWS_*', 'RUNAI_STREAMER_*', 'GOOGLE_APPLICATION_CREDENTIALS', 'AZURE_STORAGE_*']

// Formats that vLLM does not read where there are safetensors, and weights a second time in the maker's own format.
const notNeeded = ['*.bin', '*.pt', '*.pth', '*.gguf', '*.onnx', '*.h5', '*.msgpack', '*.ot', '*.tflite', 'original/*']

/** Tells how much there is to fetch, then fetches it into the cache of the hub's own library, which the engine reads. */
const fromHub = `import sys
from fnmatch import fnmatch
from huggingface_hub import HfApi, snapshot_download
repo, revision, *ignored = sys.argv[1:]
files = HfApi().model_info(repo, revision=revision or None, files_metadata=True).siblings or []
if not any(file.rfilename.endswith(".safetensors") for file in files):
    ignored = ["*.gguf", "*.onnx", "original/*"]
wanted = [file for file in files if not any(fnmatch(file.rfilename, pattern) for pattern in ignored)]
print(f"${expectWord}{sum(file.size or 0 for file in wanted)}", flush=True)
print(snapshot_download(repo, revision=revision or None, ignore_patterns=ignored))
`

/** The engine streams the weights itself; here it only shows that they are there and that we may read them. */
const inStore = `import sys
from runai_model_streamer import list_safetensors
found = list_safetensors(sys.argv[1])
if not found:
    sys.exit(f"Cannot find any safetensors model weights with \`{sys.argv[1]}\`")
print(f"{len(found)} files of weights, streamed by the engine")
`

// A guess: 140 GB at 80 MB/s.
export const modelLimitS = 1_800

const stage = {
  name: 'model',
  keeps: null,
  exists: null,
  ways: [],
  files: {},
  env: {},
  measures: [],
  secrets: [],
  needsMib: 0,
  limitS: modelLimitS,
  tries: 3,
} as const satisfies Partial<Stage>

/** The stage that puts the model of a vLLM where its engine finds it; null where there are no weights to fetch. */
export function modelStage(source: string, args: EngineArguments): Stage | null {
  if (args['load-format'] === 'dummy') return null
  const python = '{env}/bin/python'
  const way = (...words: string[]) => [{ program: python, commands: [[python, '-c', ...words]] }]
  switch (sourceKind(source)) {
    case 'hub': {
      const revision = String(args['revision'] ?? '')
      // Bars that redraw themselves are no lines of a log; the size of the folder shows how far it is.
      const env = { HF_HOME: '{models}', HF_HUB_DISABLE_PROGRESS_BARS: '1', HF_HUB_DISABLE_TELEMETRY: '1' }
      const measures = [`{models}/hub/models--${source.replace('/', '--')}`]
      const ways = way(fromHub, source, revision, ...notNeeded)
      return { ...stage, title: `model ${source}`, keeps: 'models', ways, env, measures, secrets: hubSecrets }
    }
    case 'store':
      return {
        ...stage,
        title: `model ${source}, streamed`,
        ways: way(inStore, source),
        secrets: storeSecrets,
        limitS: 120,
      }
    case 'path':
      return { ...stage, title: `model ${source}`, exists: source }
  }
}
