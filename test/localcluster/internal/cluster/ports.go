package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

type ports struct {
	Etcd              int `json:"etcd"`
	EtcdPeer          int `json:"etcdPeer"`
	APIServer         int `json:"apiServer"`
	ControllerManager int `json:"controllerManager"`
	Scheduler         int `json:"scheduler"`
}

// Below the ranges that Linux and macOS take outgoing connections' ports from: else a component that crashed could
// find its port taken when it is started again.
const (
	firstPort  = 20000
	portBlocks = 1200
	blockSize  = 8
)

// pickPorts takes whole blocks: two launchers that pick at the same moment then hardly ever meet.
func pickPorts() (ports, error) {
	for range 100 {
		base := firstPort + blockSize*rand.IntN(portBlocks)
		p := ports{base, base + 1, base + 2, base + 3, base + 4}
		if free(p.Etcd, p.EtcdPeer, p.APIServer, p.ControllerManager, p.Scheduler) {
			return p, nil
		}
	}
	return ports{}, errors.New("no free ports on loopback")
}

func free(numbers ...int) bool {
	for _, number := range numbers {
		listener, err := net.Listen("tcp", address(number))
		if err != nil || listener.Close() != nil {
			return false
		}
	}
	return true
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

func secureURL(port int) string { return fmt.Sprintf("https://%s", address(port)) }
