// How the picture fits the screen. One unit is a 1080th of the height and
// sets every size, so that the picture is the same on every wall of a shape.
// What is wider gives its width to the map and, from 2.6 : 1, to a second
// column of panels on either side; on a tall screen the columns stand below
// the map.
import { ref } from 'vue'

export type PanelName = 'trend' | 'types' | 'states' | 'mediation' | 'overdue' | 'live' | 'duty' | 'villages'
export type Shape = 'tall' | 'normal' | 'wide'
export interface Frame { shape: Shape; left: PanelName[][]; right: PanelName[][] }

export function shapeOf(width: number, height: number): Shape {
  const ratio = width / height
  return ratio < 1.2 ? 'tall' : ratio < 2.6 ? 'normal' : 'wide'
}

/** unitOf gives a unit in px: three columns need 1440 of them, two 1080. */
export const unitOf = (width: number, height: number) =>
  shapeOf(width, height) === 'tall' ? Math.min(width / 1080, height / 1440) : Math.min(height / 1080, width / 1440)

/** frameOf places the panels in columns, from left to right on each side. */
export function frameOf(width: number, height: number): Frame {
  const shape = shapeOf(width, height)
  if (shape !== 'wide') return { shape, left: [['trend', 'types', 'mediation']], right: [['overdue', 'live', 'duty']] }
  return { shape, left: [['trend', 'mediation'], ['types', 'states']], right: [['overdue', 'duty'], ['live', 'villages']] }
}

export const unit = ref(1)
export const frame = ref<Frame>(frameOf(1920, 1080))

function fit() {
  unit.value = unitOf(window.innerWidth, window.innerHeight)
  frame.value = frameOf(window.innerWidth, window.innerHeight)
  document.documentElement.style.setProperty('--u', `${unit.value}px`)
}

export function fitScreen() {
  fit()
  window.addEventListener('resize', fit)
}
