import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { client } from '../api/client.ts'
import { queries } from '../api/queries.ts'
import { Loaded } from './page.tsx'

type PageComponent = () => ReactNode

/**
 * A page of a file of its own, fetched when it is first opened, and again where nobody answered:
 * `pageFile(() => import('./pages/keys.tsx'), 'KeysPage')`.
 */
export function pageFile<N extends string>(importFile: () => Promise<Record<N, PageComponent>>, name: N) {
  const fetchPage = async (): Promise<PageComponent> => (await importFile())[name]
  const kept = {
    queryKey: ['page file', name],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
  }
  function FiledPage() {
    const file = useQuery({ ...kept, queryFn: () => fetchPage().catch(whyNot) })
    return <Loaded of={file}>{(Page) => <Page />}</Loaded>
  }
  // For who only may come, once and in silence: it must not take away the page that is read.
  FiledPage.preload = () => queries.prefetchQuery({ ...kept, queryFn: fetchPage, retry: false })
  return FiledPage
}

const reloadedKey = 'flightdeck-reloaded-at'
const reloadAgainMs = 60_000

/** A browser says no more than that a file did not come. @throws CallFailure where nobody answers. */
async function whyNot(failure: unknown): Promise<never> {
  await client.me()
  // We are answered: the file is of a build that is gone, or this browser will not ask for it again. A fresh page does.
  const reloadedAt = Number(sessionStorage.getItem(reloadedKey))
  if (Date.now() - reloadedAt < reloadAgainMs) throw failure
  sessionStorage.setItem(reloadedKey, String(Date.now()))
  location.reload()
  return new Promise(() => undefined)
}
