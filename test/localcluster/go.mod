// The launcher of the local cluster. See README.md.
module kubernaut.io/kubernaut/test/localcluster

go 1.26.0
