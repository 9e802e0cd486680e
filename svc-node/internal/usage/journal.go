package usage

import (
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// journal is tioxml as SlapOS uses it: what `slapos node collect` writes and what scripts in etc/report write.
type journal struct {
	XMLName      xml.Name      `xml:"journal"`
	Transactions []transaction `xml:"transaction"`
	Other        []other       `xml:",any"`
}

type transaction struct {
	Type        string     `xml:"type,attr"`
	Title       string     `xml:"title"`
	Start       string     `xml:"start_date"`
	Stop        string     `xml:"stop_date"`
	Reference   string     `xml:"reference"`
	Currency    string     `xml:"currency"`
	PaymentMode string     `xml:"payment_mode"`
	Category    string     `xml:"category"`
	Arrow       arrow      `xml:"arrow"`
	Movements   []movement `xml:"movement"`
	Other       []other    `xml:",any"`
}

type arrow struct {
	Type        string `xml:"type,attr"`
	Source      string `xml:"source,omitempty"`
	Destination string `xml:"destination,omitempty"`
}

type movement struct {
	Resource  string  `xml:"resource"`
	Title     string  `xml:"title"`
	Reference string  `xml:"reference"`
	Quantity  string  `xml:"quantity"`
	Price     string  `xml:"price"`
	VAT       string  `xml:"VAT"`
	Category  string  `xml:"category"`
	Other     []other `xml:",any"`
}

type other struct{ XMLName xml.Name }

// What SlapOS calls its resources. CPU is the share of one processor in percent, memory and disk are in bytes.
const (
	resourceCPU     = "service_module/cpu_load_percent"
	resourceMemory  = "service_module/memory_used"
	resourceDisk    = "service_module/disk_used"
	transactionType = "Sale Packing List"
	maxResource     = 255
)

// Journal is the tioxml journal of a day of a computer: a transaction with what each partition consumed.
func Journal(computer string, day *storev1.NodeUsageDay) ([]byte, error) {
	t := transaction{
		Type: transactionType, Title: "Consumption of " + computer, Start: day.GetDay() + " 00:00:00", Stop: day.GetDay() + " 23:59:59",
		Reference: day.GetDay() + "-" + computer, Arrow: arrow{Type: "Destination"},
	}
	add := func(partition, resource, title string, quantity float64) {
		t.Movements = append(t.Movements, movement{
			Resource: resource, Title: title, Reference: partition, Quantity: strconv.FormatFloat(quantity, 'f', -1, 64), Price: "0.00",
		})
	}
	for _, name := range slices.Sorted(maps.Keys(day.GetPartitions())) {
		p := day.GetPartitions()[name]
		if p.GetSeconds() > 0 {
			add(name, resourceCPU, "CPU Load Percent", math.Round(p.GetCpuSeconds()/p.GetSeconds()*1e6)/1e4)
			add(name, resourceMemory, "Used Memory", math.Round(p.GetMemoryByteSeconds()/p.GetSeconds()))
			add(name, resourceDisk, "Used Disk", float64(p.GetDiskBytes()))
		}
		for _, resource := range slices.Sorted(maps.Keys(p.GetConsumed())) {
			add(name, resource, resource, p.GetConsumed()[resource])
		}
	}
	content, err := xml.MarshalIndent(journal{Transactions: []transaction{t}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write a journal: %w", err)
	}
	return append([]byte(xml.Header), append(content, '\n')...), nil
}

// parseJournal reads what a script wrote: the quantities by resource. What is not a journal in every detail is refused whole.
func parseJournal(content []byte) (map[string]float64, error) {
	var j journal
	if err := xml.Unmarshal(content, &j); err != nil {
		return nil, fmt.Errorf("it is no journal: %w", err)
	}
	if len(j.Transactions) == 0 || len(j.Other) > 0 {
		return nil, errors.New("it is no journal of transactions alone")
	}
	consumed := map[string]float64{}
	for i, t := range j.Transactions {
		if t.Type != transactionType || len(t.Other) > 0 {
			return nil, fmt.Errorf("transaction %d is no %s, or has unknown parts", i+1, transactionType)
		}
		for _, date := range []string{t.Start, t.Stop} {
			if _, err := time.Parse(time.DateOnly, strings.TrimSpace(date)[:min(len(strings.TrimSpace(date)), len(time.DateOnly))]); err != nil {
				return nil, fmt.Errorf("transaction %d: %q is no date", i+1, date)
			}
		}
		for _, m := range t.Movements {
			resource := strings.TrimSpace(m.Resource)
			quantity, err := strconv.ParseFloat(strings.TrimSpace(m.Quantity), 64)
			switch {
			case len(m.Other) > 0 || resource == "" || len(resource) > maxResource:
				return nil, fmt.Errorf("transaction %d has a movement with unknown parts or without a resource", i+1)
			case err != nil || math.IsNaN(quantity) || math.IsInf(quantity, 0):
				return nil, fmt.Errorf("transaction %d: the quantity of %s is %q", i+1, resource, m.Quantity)
			}
			consumed[resource] += quantity
			if len(consumed) > MaxConsumed {
				return nil, fmt.Errorf("it names more than %d resources", MaxConsumed)
			}
		}
	}
	if len(consumed) == 0 {
		return nil, errors.New("it has no movement")
	}
	return consumed, nil
}
