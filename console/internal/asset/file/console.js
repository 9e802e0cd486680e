// The console's own script: what is live says so, keys, and the chart of a promise. Pages work without it.
(() => {
  'use strict'
  const stale = document.getElementById('stale')
  const liveness = document.getElementById('liveness')
  const live = document.getElementById('live')

  // say what the stream is worth: a page that is not kept up to date must not look as if it were.
  const say = (text) => { if (stale) { stale.hidden = !text; stale.textContent = text } }
  const clock = () => new Date().toISOString().slice(11, 19) + ' UTC'
  let told = liveness ? liveness.textContent.replace('as of ', '') : ''
  const heard = () => {
    told = clock()
    say('')
    if (liveness) { liveness.textContent = 'live · ' + told; liveness.dataset.live = 'yes' }
    const page = document.getElementById('page')
    if (page && page.dataset.title) document.title = page.dataset.title
    charts()
  }
  if (live) {
    live.addEventListener('htmx:sse:after:message', (e) => { if (!e.detail.message.event) heard() })
    live.addEventListener('away', (e) => say('Not up to date: ' + e.detail.data + '. This is from ' + told + '.'))
    live.addEventListener('htmx:sse:error', () => say('Not up to date: the console does not answer. This is from ' + told + '.'))
    live.addEventListener('htmx:sse:after:connection', () => say(''))
  }

  // keys: / searches, g and a letter goes to a page.
  const places = { f: '/', t: '/trees', b: '/bangs', a: '/agenda', c: '/crimes', u: '/audit' }
  let going = false
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) {
      if (e.key === 'Escape') e.target.blur()
      return
    }
    if (e.key === '/') {
      e.preventDefault()
      document.querySelector('.search input').focus()
    } else if (going && places[e.key]) {
      location.assign(places[e.key])
    }
    going = e.key === 'g'
  })

  // charts draws the values of a promise; verdicts are in the strip above it.
  const charts = () => {
    const at = document.getElementById('chart')
    if (!at || at.dataset.drawn || typeof uPlot === 'undefined') return
    at.dataset.drawn = 'yes'
    const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    const axis = { stroke: css('--dim'), grid: { stroke: css('--line') }, ticks: { stroke: css('--line') } }
    let plot
    const draw = async () => {
      const response = await fetch(at.dataset.points)
      if (!response.ok) return
      const data = await response.json()
      if (!data.at || data.at.length === 0) return
      const failed = data.at.map((_, i) => data.failed[i] ? data.value[i] : null)
      const series = [data.at, data.value, failed]
      if (plot) { plot.setData(series); return }
      plot = new uPlot({
        width: at.clientWidth, height: 240, axes: [axis, axis],
        series: [{}, { label: 'value', stroke: css('--accent'), width: 1.5, spanGaps: true },
          { label: 'failed', stroke: css('--red'), paths: () => null, points: { show: true, size: 7, fill: css('--red') } }]
      }, series, at)
      addEventListener('resize', () => plot.setSize({ width: at.clientWidth, height: 240 }))
    }
    draw()
    setInterval(draw, 10000)
  }
  charts()
})()
