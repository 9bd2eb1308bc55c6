import { useAddressState } from './address-state.ts'

const perPage = 100

/** A long list, newest first: what it is narrowed by, and the page of it that is open. */
export function useLeafing<T extends Readonly<Record<string, string>> & { readonly cursor: string }>(everything: T) {
  const [wish, setWish] = useAddressState(everything)
  const asked = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== ''))
  return {
    wish,
    query: { limit: perPage, ...asked },
    isNarrowed: Object.keys(asked).length > 0,
    narrow: (patch: Partial<T>) => setWish({ ...patch, cursor: '' }),
    go: (cursor: string) => setWish({ cursor } as Partial<T>, { replace: false }),
  }
}
