import { z } from 'zod'
import { figures, weightTypes, whatIsWrongWith } from '../core/catalog.ts'
import { fitVerdicts } from '../core/fit.ts'
import { engineArguments } from './views.ts'

const hubId = z.string().regex(/^[\w.-]{1,96}\/[\w.-]{1,96}$/, 'a hub path: owner/name')
const size = z.number().int().min(1).max(1e15)

export const catalogModelView = z.object({
  id: hubId,
  card: hubId,
  kind: z.enum(['chat', 'embedding']),
  parameters: size,
  activeParameters: size,
  layers: size,
  hiddenSize: size,
  attentionHeads: size,
  kvHeads: size,
  headDim: size,
  feedForward: size.nullable(),
  vocabulary: size,
  tiedEmbeddings: z.boolean(),
  contextTokens: size,
  weights: z.object({ dtype: z.enum(weightTypes), bytesPerParameter: z.number().min(0.1).max(8) }),
  slidingWindow: z.object({ tokens: size, fullLayers: z.number().int().min(0) }).nullable(),
  latentKv: size.nullable(),
  licence: z.string().min(1).max(64),
  gated: z.boolean(),
  uncertain: z.array(z.enum(figures)),
})
export type CatalogModelView = z.infer<typeof catalogModelView>

/** An entry as it is written in a file: what most models do not have may be left out. */
const catalogEntry = z
  .strictObject({
    ...catalogModelView.shape,
    feedForward: size.nullable().default(null),
    slidingWindow: catalogModelView.shape.slidingWindow.default(null),
    latentKv: size.nullable().default(null),
    uncertain: catalogModelView.shape.uncertain.default([]),
  })
  .superRefine((model, context) => {
    for (const message of whatIsWrongWith(model)) context.addIssue({ code: 'custom', message })
  })

/** A file of the catalogue; `catalog/README.md` explains the fields. */
export const catalogFile = z.strictObject({ models: z.array(catalogEntry) }).superRefine(({ models }, context) => {
  const seen = new Set<string>()
  for (const [i, { id }] of models.entries()) {
    if (seen.has(id)) context.addIssue({ code: 'custom', path: ['models', i, 'id'], message: `${id} is there twice` })
    seen.add(id)
  }
})

const gib = z.number().min(0)
const tokens = z.number().int().min(0)

/** What a model takes in all, on one GPU that holds it, with the cache of so many requests of that many tokens. */
export const memoryView = z.object({
  totalGib: gib,
  weightsGib: gib,
  kvGib: gib,
  overheadGib: gib,
  context: tokens,
  concurrency: tokens,
})
export type MemoryView = z.infer<typeof memoryView>

/** With what it takes when nothing else is asked for. */
export const catalogCard = catalogModelView.extend({ memory: memoryView })
export type CatalogCard = z.infer<typeof catalogCard>

export const modelView = z.object({
  name: z.string().max(256),
  engine: z.string().max(32),
  source: z.string().max(512),
  args: engineArguments,
  description: z.string().max(500),
  /** The entry of the catalogue that says what it weighs; null where nothing is known of it. */
  catalog: z.string().max(256).nullable(),
  /** What it takes as it is configured; null where too little is known of it. */
  memory: memoryView.nullable(),
  readyNodes: z.number().int().min(0),
})
export type ModelView = z.infer<typeof modelView>

/** Whether a model fits on an offer's GPUs. Memory is of one GPU of the split. */
export const fitView = z.object({
  verdict: z.enum(fitVerdicts),
  fits: z.boolean(),
  gpu: z.string().max(64),
  tensorParallel: z.number().int().min(1),
  vramGib: gib,
  budgetGib: gib,
  weightsGib: gib,
  kvGib: gib,
  kvBytesPerToken: tokens,
  overheadGib: gib,
  diskGib: gib,
  context: tokens,
  concurrency: tokens,
  maxContext: tokens,
  maxConcurrency: tokens,
  arguments: z.record(z.string().max(64), z.union([z.string().max(512), z.number()])),
  cause: z.string().max(2_000).nullable(),
  remedy: z.string().max(2_000).nullable(),
})
export type FitView = z.infer<typeof fitView>
