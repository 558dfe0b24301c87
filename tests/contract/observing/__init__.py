"""What is read of a real control plane: other hands, pods and node pools."""
