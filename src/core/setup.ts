import type { EngineName } from './engine-presets.ts'
import { costMicroUsd } from './money.ts'
import type { Offer } from './offer.ts'
import type { PhasePast } from './phases.ts'
import { builtInRecipe, isThisHost, type Recipe, recipeOf } from './recipe.ts'
import type { Settings } from './settings.ts'
import { phaseOfStage, type StageName } from './stage.ts'

/** A way in which an engine gets onto a machine, and what it costs there before the model is even looked at. */
export interface Setup {
  readonly way: 'recipe' | 'image'
  readonly name: string
  readonly ms: number
  /** From past launches on this cloud; else it is a guess. */
  readonly measured: boolean
  readonly costMicroUsd: number
}

/** What a launch at an offer would do; null: the machine has its engine. `instead` is the other way, where it is open. */
export interface Setups {
  readonly does: Setup | null
  readonly instead: Setup | null
}

// Measured beside a package registry on two cores: 3, 24 and 1 s. Guessed from it for a rented machine, whose registry is
// further away: 4 GB at 50 MB/s.
const guessMs: Readonly<Record<StageName, number>> = { python: 10_000, engine: 110_000, streamer: 5_000, model: 0 }
// Guessed: 10 GB at 100 MB/s, and as long again to unpack it.
const imageMs = 200_000
const usualImage = 'docker:vllm/vllm-openai'

export function setupsOf(
  { recipes, images }: Pick<Settings, 'recipes' | 'images'>,
  engine: EngineName,
  offer: Offer,
  past: PhasePast,
): Setups {
  const price = offer.pricePerHourMicroUsd
  const recipe = recipeOf(recipes, engine, offer)
  const byImage = (name: string): Setup => {
    return { way: 'image', name, ms: imageMs, measured: false, costMicroUsd: costMicroUsd(price, imageMs) }
  }
  const byRecipe = (ms: number, measured: boolean, name: string): Setup => {
    return { way: 'recipe', name, ms, measured, costMicroUsd: costMicroUsd(price, ms) }
  }
  if (recipe) {
    const measured = pastMs(recipe, past)
    // An image is a rented machine's; this host has none to start.
    const instead = engine === 'vllm' && !isThisHost(offer.cloud) ? byImage(usualImage) : null
    return { does: byRecipe(measured ?? guessedMs(recipe), measured !== null, recipe.name), instead }
  }
  const image = images[offer.cloud]
  if (image === undefined) return { does: null, instead: null }
  const instead = engine === 'vllm' ? byRecipe(guessedMs(builtInRecipe('vllm')), false, 'vllm') : null
  return { does: byImage(image), instead }
}

const stageNamesOf = ({ stages }: Recipe): StageName[] => [...new Set(stages.map(({ name }) => name))]

const guessedMs = (recipe: Recipe): number => stageNamesOf(recipe).reduce((sum, name) => sum + guessMs[name], 0)

/** The medians of past launches, where there are any of what takes longest. */
function pastMs(recipe: Recipe, past: PhasePast): number | null {
  if (!past.has(phaseOfStage.engine)) return null
  return stageNamesOf(recipe).reduce((sum, name) => sum + (past.get(phaseOfStage[name]) ?? 0), 0)
}
