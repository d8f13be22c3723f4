"""The bundled model made again: data, network, training, measurement. Needs the extra `train`."""
