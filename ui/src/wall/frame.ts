// How the picture fits the screen. One unit is a 1080th of the height and
// sets every size, so that the picture is the same on every wall of a shape;
// what is wider gives its width to the map and, beyond 2.6 : 1, to a second
// column of panels on either side.
import { ref } from 'vue'

export type PanelName = 'trend' | 'types' | 'states' | 'mediation' | 'overdue' | 'live' | 'duty' | 'villages'
export interface Frame { left: PanelName[][]; right: PanelName[][] }

const minWidth = 1440 // units that the three columns need

/** unitOf gives a unit in px. */
export const unitOf = (width: number, height: number) => Math.min(height / 1080, width / minWidth)

/** frameOf places the panels in columns, from the edge inwards on the left
 *  and outwards on the right. */
export function frameOf(width: number, height: number): Frame {
  if (width / height < 2.6) return { left: [['trend', 'types', 'mediation']], right: [['overdue', 'live', 'duty']] }
  return { left: [['trend', 'mediation'], ['types', 'states']], right: [['overdue', 'duty'], ['live', 'villages']] }
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
