"""Draw pictures that a reader can turn: package objects in; SVG, a sentence and a table out. Without Matplotlib."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.drawing.blocks_again import saw_tooth
    from flopbook.drawing.box import product_box
    from flopbook.drawing.cache_grid import growing_cache
    from flopbook.drawing.chunk_blocks import scan_in_chunks
    from flopbook.drawing.claimed_hours import hours_of_runs
    from flopbook.drawing.counted_weights import what_n_counts
    from flopbook.drawing.equal_stretches import orthogonalize
    from flopbook.drawing.feedback import error_paths
    from flopbook.drawing.freezing import training_graph
    from flopbook.drawing.held_bytes import Setting, memory_over_step
    from flopbook.drawing.holdings import rank_holdings
    from flopbook.drawing.kernel_places import moving_kernel
    from flopbook.drawing.loss_valleys import isoflop_valleys
    from flopbook.drawing.lost_updates import add_updates
    from flopbook.drawing.mask_grid import painted_mask
    from flopbook.drawing.mesh_bars import steps_on_meshes
    from flopbook.drawing.number_formats import flip_bits, keep_number
    from flopbook.drawing.passing_arrows import derivative_arrows
    from flopbook.drawing.phase_shares import phases_of_a_step
    from flopbook.drawing.pipeline_lanes import pipeline_timeline
    from flopbook.drawing.quarters import seven_products
    from flopbook.drawing.roofs import Work, roofline
    from flopbook.drawing.routing import token_routing
    from flopbook.drawing.run_costs import training_run
    from flopbook.drawing.saved_shares import fine_tuning
    from flopbook.drawing.scaled_block import transformer_block
    from flopbook.drawing.shared_scales import Sharing, outlier_in_block
    from flopbook.drawing.sizes_alone import run_on_letters
    from flopbook.drawing.split_layer import split_product
    from flopbook.drawing.step_lines import whole_step
    from flopbook.drawing.stepped_product import multiply_adds
    from flopbook.drawing.sum_of_products import dot_product
    from flopbook.drawing.tiles import blocked_product
    from flopbook.drawing.timeline import Event, device_timeline
    from flopbook.drawing.trainer_errors import errors_of_trainers
    from flopbook.drawing.treemap import module_areas

__getattr__, __dir__, __all__ = export_lazily(__name__)
