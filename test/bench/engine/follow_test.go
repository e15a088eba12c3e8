package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follower sees every change of the objects of a kind.
type follower struct {
	mu      sync.Mutex
	objects map[types.UID]client.Object
	changed chan struct{}
}

// follow watches a kind from now on; see is called with every object that is new or has changed, and when that was seen.
func (b *bench) follow(list client.ObjectList, example client.Object, see func(object client.Object, at time.Time)) *follower {
	b.Helper()
	f := &follower{objects: map[types.UID]client.Object{}, changed: make(chan struct{}, 1)}
	take := func(item any) {
		object, is := item.(client.Object)
		if !is {
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.objects[object.GetUID()] = object
		if see != nil {
			see(object, time.Now())
		}
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				fresh, is := list.DeepCopyObject().(client.ObjectList)
				if !is {
					return nil, fmt.Errorf("%T is no list", list)
				}
				return fresh, b.List(ctx, fresh, &client.ListOptions{Raw: &options})
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				fresh, is := list.DeepCopyObject().(client.ObjectList)
				if !is {
					return nil, fmt.Errorf("%T is no list", list)
				}
				return b.Watch(ctx, fresh, &client.ListOptions{Raw: &options})
			},
		},
		ObjectType: example,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: take, UpdateFunc: func(_, item any) { take(item) },
		},
	})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		informer.RunWithContext(ctx)
	}()
	b.Cleanup(func() { stop(); <-done })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		b.Fatal("the watch did not begin")
	}
	return f
}

// until waits until the objects are as wanted. The limit ends the benchmark with an error.
func (f *follower) until(b *bench, what string, limit time.Duration, is func(objects map[types.UID]client.Object) bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), limit)
	defer cancel()
	for {
		f.mu.Lock()
		so := is(f.objects)
		f.mu.Unlock()
		if so {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("%s: not within %s; %d objects were seen", what, limit, f.seen())
		case <-f.changed:
		}
	}
}

func (f *follower) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.objects)
}
