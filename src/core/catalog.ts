export const weightTypes = ['fp32', 'bf16', 'fp16', 'fp8', 'mxfp4', 'int4'] as const
export type WeightType = (typeof weightTypes)[number]

export const figures = [
  'parameters',
  'activeParameters',
  'layers',
  'hiddenSize',
  'attentionHeads',
  'kvHeads',
  'headDim',
  'contextTokens',
  'weights',
  'licence',
  'gated',
] as const
export type Figure = (typeof figures)[number]

/** Whether the hub gives the weights out only with a token, and there is one. */
export const hubTokens = ['not_needed', 'set', 'missing'] as const
export type HubToken = (typeof hubTokens)[number]

/** What is published about an open-weight model, as far as it decides which machine holds it. `id` is its hub path. */
export interface CatalogModel {
  readonly id: string
  /** The model card that the figures were taken from, as a hub path. */
  readonly card: string
  readonly kind: 'chat' | 'embedding'
  readonly parameters: number
  /** Used for one token; the same as `parameters` unless the model is a mixture of experts. */
  readonly activeParameters: number
  readonly layers: number
  readonly hiddenSize: number
  readonly attentionHeads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Width of a plain gated feed-forward block; null where the layers are built otherwise. */
  readonly feedForward: number | null
  readonly vocabulary: number
  readonly tiedEmbeddings: boolean
  readonly contextTokens: number
  readonly weights: { readonly dtype: WeightType; readonly bytesPerParameter: number }
  /** Layers other than `fullLayers` keep only so many tokens of each request. */
  readonly slidingWindow: { readonly tokens: number; readonly fullLayers: number } | null
  /** Elements that a token takes in a layer where keys and values are kept as one compressed vector. */
  readonly latentKv: number | null
  readonly licence: string
  readonly gated: boolean
  /** Figures that nobody has checked against the published files. */
  readonly uncertain: readonly Figure[]
}

/** The parameters that the shapes add up to without norms and biases; null where the layers are not plain. */
export function parametersOfShapes(model: CatalogModel): number | null {
  if (model.feedForward === null) return null
  const { hiddenSize, headDim } = model
  const attention = 2 * hiddenSize * headDim * (model.attentionHeads + model.kvHeads)
  const embeddings = model.vocabulary * hiddenSize * (model.tiedEmbeddings ? 1 : 2)
  return embeddings + model.layers * (attention + 3 * hiddenSize * model.feedForward)
}

/** What cannot be true of the entry, in words; none where it is sound. */
export function whatIsWrongWith(model: CatalogModel): string[] {
  const wrong: string[] = []
  if (model.attentionHeads % model.kvHeads !== 0) wrong.push('kvHeads must divide attentionHeads')
  if (model.activeParameters > model.parameters) wrong.push('activeParameters must not be above parameters')
  if (model.slidingWindow && model.slidingWindow.fullLayers > model.layers)
    wrong.push('slidingWindow.fullLayers must not be above layers')
  const summed = parametersOfShapes(model)
  // A twentieth: a vision tower, norms and biases are not in the shapes; a wrong digit is far outside.
  if (summed !== null && Math.abs(summed / model.parameters - 1) > 0.05)
    wrong.push(`parameters must be near ${summed}, which the shapes add up to`)
  return wrong
}

/** The catalogue's entry for a configured model: the one that it names, else the one that its source is called like. */
export function catalogModelOf(
  catalog: readonly CatalogModel[],
  entry: { readonly engine: string; readonly source: string; readonly catalog?: string | undefined },
): CatalogModel | null {
  // The simulated engine loads nothing, so only the operator's word makes its models weigh something.
  const id = entry.catalog ?? (entry.engine === 'sim' ? null : entry.source)
  return catalog.find((model) => model.id === id) ?? null
}

const billions = (parameters: number): string => `${(parameters / 1e9).toFixed(parameters < 1e10 ? 1 : 0)}B`

/** `8.2B`, `235B (22B active)` */
export function parameterWords(model: Pick<CatalogModel, 'parameters' | 'activeParameters'>): string {
  const { parameters, activeParameters } = model
  return billions(parameters) + (activeParameters < parameters ? ` (${billions(activeParameters)} active)` : '')
}

/** What the weights take, of a GPU's memory and of a disk, before anything lies beside them. */
export const weightsGib = ({ parameters, weights }: Pick<CatalogModel, 'parameters' | 'weights'>): number =>
  Math.ceil((parameters * weights.bytesPerParameter) / 2 ** 30)

export const licenceWords = ({ licence, gated }: Pick<CatalogModel, 'licence' | 'gated'>): string =>
  gated ? `${licence}, gated` : licence
