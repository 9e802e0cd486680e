package usage

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

func sample(partition, at string, cpu, period float64) *masterv1.UsageSample {
	when, _ := time.Parse(time.RFC3339, at)
	return &masterv1.UsageSample{Partition: partition, At: timestamppb.New(when), CpuSeconds: cpu, PeriodSeconds: period, Consumed: map[string]float64{"mails": 1}}
}
