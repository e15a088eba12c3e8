package main

import (
	"context"
	"fmt"
	"reflect"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watcher hands out objects of one namespace as they come into being and change. An interrupted watch goes on by itself.
type watcher struct {
	objects chan client.Object
	see     func(client.Object)
	// latest are the objects as they were last seen, by kind and name; order are their keys as they were first seen.
	latest map[string]client.Object
	order  []string
}

// watch begins to watch kinds; see gets every object, from within until.
func (c *cluster) watch(ctx context.Context, namespace string, see func(client.Object), kinds ...client.Object) (*watcher, error) {
	const ahead = 128
	w := &watcher{objects: make(chan client.Object, ahead), latest: map[string]client.Object{}, see: see}
	informers, err := cache.New(c.config, cache.Options{
		Scheme: c.scheme, Mapper: c.admin.RESTMapper(), DefaultNamespaces: map[string]cache.Config{namespace: {}},
		// The informers try again by themselves, and what cannot be reached becomes the reason of a time-out.
		DefaultWatchErrorHandler: func(context.Context, *toolscache.Reflector, error) {},
	})
	if err != nil {
		return nil, fmt.Errorf("watch namespace %s: %w", namespace, err)
	}
	go informers.Start(ctx) //nolint:errcheck // it ends with the context
	for _, kind := range kinds {
		informer, err := informers.GetInformer(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
		if _, err := informer.AddEventHandler(w.handler(ctx)); err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
	}
	return w, nil
}

func (w *watcher) handler(ctx context.Context) toolscache.ResourceEventHandler {
	pass := func(object any) {
		o, ok := object.(client.Object)
		if !ok {
			return
		}
		select {
		case w.objects <- o:
		case <-ctx.Done():
		}
	}
	return toolscache.ResourceEventHandlerFuncs{AddFunc: pass, UpdateFunc: func(_, object any) { pass(object) }}
}

// until takes in objects until enough is true of what was seen.
func (w *watcher) until(ctx context.Context, what string, enough func() bool) error {
	for !enough() {
		select {
		case object := <-w.objects:
			w.take(object)
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

func (w *watcher) take(object client.Object) {
	k := key(reflect.TypeOf(object), object.GetName())
	if _, known := w.latest[k]; !known {
		w.order = append(w.order, k)
	}
	w.latest[k] = object
	w.see(object)
}

func key(kind reflect.Type, name string) string { return kind.String() + "/" + name }

// latest is an object as it was last seen; ok is false if it was not.
func latest[T client.Object](w *watcher, name string) (object T, ok bool) {
	object, ok = w.latest[key(reflect.TypeFor[T](), name)].(T)
	return object, ok
}

// anyOf says whether something holds for an object of a kind.
func anyOf[T client.Object](w *watcher, holds func(T) bool) bool {
	for _, object := range w.latest {
		if o, ok := object.(T); ok && holds(o) {
			return true
		}
	}
	return false
}
