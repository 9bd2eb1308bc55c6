import { format, type Rule } from './source.ts'

/** What a rule says of files that exist only here: path -> text. */
export function found({ check }: Rule, files: Record<string, string>): string[] {
  return check(Object.entries(files).map(([path, text]) => ({ path, text }))).map(format)
}

/** The same text under many paths. */
export function at(paths: string[], text: string): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, text]))
}
