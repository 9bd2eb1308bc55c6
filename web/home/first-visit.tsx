import { Link } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Panel } from '../parts/panel.tsx'
import { counted } from '../words/counts.ts'
import look from './first-visit.module.css'

/** Nothing was launched yet: what is there already, and the one step that comes next. */
export function FirstVisit() {
  const models = useRead('listModels')
  const offers = useRead('listOffers')
  const silent = offers.data?.clouds.filter(({ failure }) => failure !== null) ?? []
  return (
    <Panel title="Nothing runs, and nothing is billed">
      <div className={look['first']}>
        <h2>Launch a first model</h2>
        <p className="soft">
          Choose a model, see which machines can hold it and what each costs, and watch it come up. Nothing is asked of
          any cloud before you have seen the price.
        </p>
        <ul>
          <li>
            <StateMark shape={models.data?.items.length ? 'good' : 'between'}>
              {models.data ? `${counted(models.data.items.length, 'model')} configured` : 'models are being read'}
            </StateMark>
          </li>
          <li>
            <StateMark shape={offers.data?.items.length ? 'good' : 'doubtful'}>
              {offers.data
                ? `${counted(offers.data.items.length, 'offer')} to choose from now`
                : 'offers are being read'}
            </StateMark>
          </li>
          {silent.map(({ cloud, failure }) => (
            <li key={cloud}>
              <StateMark shape="doubtful">{cloud}</StateMark> {failure?.cause}{' '}
              <span className="soft">{failure?.remedy}</span>
            </li>
          ))}
        </ul>
        <Link to="/launch" className="button main">
          Launch a model
        </Link>
      </div>
    </Panel>
  )
}
