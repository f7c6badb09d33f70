"""Derive what each rank of many computes, keeps and sends, on paper."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.predict.parallel.pipelines import (
        bubble,
        in_flight,
        pipeline_stages,
        split_backward_bubble,
        stage_flops,
    )
    from flopbook.predict.parallel.planning import Cluster, Planned, plan, search
    from flopbook.predict.parallel.ranks import Mesh, RankOfMesh, Training, rank_of_mesh
    from flopbook.predict.parallel.schedules import (
        Schedule,
        gpipe,
        interleaved,
        one_forward_one_backward,
        zero_bubble,
    )
    from flopbook.predict.parallel.sharding import (
        Rank,
        Unit,
        buckets,
        data_parallel,
        flat_sharded,
        fully_sharded,
        whole_tensors,
        zero,
    )
    from flopbook.predict.parallel.splitting import MeshAxis, Split, split
    from flopbook.predict.parallel.transfers import Transfer, carried, passed_around

__getattr__, __dir__, __all__ = export_lazily(__name__)
