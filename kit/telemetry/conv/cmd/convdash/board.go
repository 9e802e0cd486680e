package main

// board is a dashboard.
type board struct {
	uid, title, description string
	inputs                  []input
	rows                    []row
}

// input is a text field above the panels; its value stands for $name in queries.
type input struct{ name, label string }

// row is a line of panels, of the same height; they share its width.
type row struct {
	height int
	panels []panel
}

// panel shows queries.
type panel struct {
	title, description string
	kind               string // as Grafana calls it
	unit               string // as Grafana calls it
	source             string // uid of a data source, as grafana/provisioning has it
	queries            []query
	exemplars          bool // each leads to a trace
}

// query is PromQL, or what Jaeger is asked for.
type query struct {
	text, legend string
	search       *search
}

// search asks Jaeger for traces with a span of a service, by name and attributes.
type search struct{ service, operation, tags string }

// Grafana's grid is 24 columns wide.
const columns = 24

type object = map[string]any

// model is what Grafana reads.
func (b board) model() object {
	var panels []object
	y := 0
	for _, r := range b.rows {
		width := columns / len(r.panels)
		for i, p := range r.panels {
			panels = append(panels, p.model(len(panels)+1, object{"x": i * width, "y": y, "w": width, "h": r.height}))
		}
		y += r.height
	}
	var variables []object
	for _, in := range b.inputs {
		variables = append(variables, object{"type": "textbox", "name": in.name, "label": in.label, "query": "", "hide": 0})
	}
	return object{
		"uid": b.uid, "title": "vow: " + b.title, "description": b.description, "tags": []string{"vow"}, "schemaVersion": 39, "version": 1, "editable": false,
		"time": object{"from": "now-3h", "to": "now"}, "refresh": "30s", "timezone": "utc", "graphTooltip": 1,
		"links":      []object{{"type": "dashboards", "tags": []string{"vow"}, "title": "vow", "asDropdown": false, "includeVars": true, "keepTime": true}},
		"templating": object{"list": variables},
		"panels":     panels,
	}
}

func (p panel) model(id int, at object) object {
	var targets []object
	for i, q := range p.queries {
		targets = append(targets, q.model(string(rune('A'+i)), p))
	}
	return object{
		"id": id, "type": p.kind, "title": p.title, "description": p.description, "gridPos": at,
		"datasource": object{"type": kindOf(p.source), "uid": p.source}, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": []object{}}, "options": options(p.kind),
	}
}

func (q query) model(ref string, p panel) object {
	at := object{"refId": ref, "datasource": object{"type": kindOf(p.source), "uid": p.source}}
	switch {
	case q.search != nil:
		at["queryType"], at["service"], at["operation"], at["tags"], at["limit"] = "search", q.search.service, q.search.operation, q.search.tags, 50
	case p.source == sourceTraces:
		at["query"] = q.text
	default:
		at["expr"], at["legendFormat"], at["exemplar"] = q.text, q.legend, p.exemplars
		at["instant"], at["range"] = p.kind == kindStat || p.kind == kindTable, p.kind != kindStat && p.kind != kindTable
		if p.kind == kindTable || p.kind == kindHeatmap {
			at["format"] = p.kind
		}
	}
	return at
}

func kindOf(source string) string {
	if source == sourceTraces {
		return "jaeger"
	}
	return source
}

func options(kind string) object {
	switch kind {
	case kindTime:
		return object{"legend": object{"displayMode": "table", "placement": "right", "calcs": []string{"lastNotNull", "max"}}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	case kindStat:
		return object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "none"}
	case kindHeatmap:
		return object{"calculate": false, "yAxis": object{"unit": "s"}, "exemplars": object{"color": "rgba(255,0,255,0.7)"}, "tooltip": object{"show": true, "yHistogram": true}}
	default:
		return object{}
	}
}
