import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'

type Fields = Readonly<Record<string, string>>

/**
 * What a page has chosen, kept in its address: it can be sent to a colleague, and back never loses it. What equals its
 * default is left out.
 */
export function useAddressState<T extends Fields>(
  defaults: T,
): [state: T, set: (patch: Partial<T>, how?: { readonly replace?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Fields
  const navigate = useNavigate()
  const state = useMemo(() => {
    const known = Object.keys(defaults).flatMap((key) => (search[key] === undefined ? [] : [[key, search[key]]]))
    return { ...defaults, ...Object.fromEntries(known) } as T
  }, [search, defaults])
  const set = useCallback(
    (patch: Partial<T>, { replace = true } = {}) => {
      const after = (before: Fields): Fields => {
        const all = Object.entries({ ...before, ...patch })
        return Object.fromEntries(
          all.filter(([key, value]) => value !== undefined && value !== defaults[key]),
        ) as Fields
      }
      void navigate({ to: '.', search: after as never, replace })
    },
    [navigate, defaults],
  )
  return [state, set]
}

/** Whose page it is, of an address like `/nodes/$id`. */
export const useIdOfPage = (): string => (useParams({ strict: false }) as { id: string }).id
